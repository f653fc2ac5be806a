// A configuration file as a change to a device.
#pragma once

#include "culvert/config/config_file.hpp"
#include "culvert/engine/device_change.hpp"

namespace culvert {

/// All that the file says about keys and peers, replacing what there was; endpoints only where they are addresses. Port
/// and mark as in the file, unset where it has none.
[[nodiscard]] DeviceChange change_of(const Config& config);

}  // namespace culvert
