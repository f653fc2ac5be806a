// What keeps a program inside its namespaces: capabilities and system calls that it does not get.
#pragma once

namespace culvert {

/// Takes from the calling thread, and from all programs it will ever become, every capability but those over files and
/// processes of its own kind, low ports and raw sockets, and the way to get new ones (set-uid programs, file
/// capabilities). Throws std::system_error.
void give_up_capabilities();

/// Refuses to the calling thread, and to all programs it will ever become, with EPERM, what leads to other namespaces
/// or gives new capabilities: entering and making namespaces, mounting, keyrings, opening files by handle, io_uring,
/// into which a filter does not see, programs for the kernel, machine sockets (AF_VSOCK, which know no network
/// namespaces), and typing on the user's terminal. clone3(2), whose flags a filter cannot see, is "not implemented", on
/// which C libraries take clone(2). Needs no capability after give_up_capabilities(). Throws std::system_error.
void forbid_system_calls();

/// Closes on exec all descriptors but the three standard ones: one may be of a namespace. Throws std::runtime_error if
/// one of the three is, or is a folder, below which nothing would be covered.
void keep_only_standard_streams();

}  // namespace culvert
