// Readies the cryptographic libraries.
#pragma once

namespace culvert {

/// Call once per process before anything else in crypto; more calls do nothing. Throws std::runtime_error if a library
/// cannot be used (missing algorithm, failed self-test).
void initialize_crypto();

}  // namespace culvert
