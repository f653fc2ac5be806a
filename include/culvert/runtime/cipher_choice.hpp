// Whether this machine can do the cipher that a file asks for.
#pragma once

#include "culvert/config/config_file.hpp"

namespace culvert {

/// Throws ConfigError if the file's cipher is not usable here; `usable` is is_usable(config.cipher.suite()).
void check_cipher(const Config& config, bool usable);

/// Says in the log, as a warning, what Insecure = yes allows and whether that is used. Nothing without it.
void warn_if_insecure(const Config& config);

}  // namespace culvert
