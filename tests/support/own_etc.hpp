// Files of /etc that a test has to itself.
#pragma once

#include <linux/magic.h>
#include <sys/vfs.h>

#include <fstream>
#include <string>

#include "support/own_namespace.hpp"

namespace culvert::test {

/// /etc/`name` has `text` from now on in the calling thread's mount namespace, which is the test's own, whether the
/// machine has such a file or not.
inline void replace_in_etc(const std::string& name, const std::string& text) {
  struct statfs about {};
  ASSERT_EQ(::statfs("/etc", &about), 0);
  if (about.f_type != TMPFS_MAGIC) {
    // What cannot be read is not needed.
    output_of(
        "etc=$(mktemp -d) && mount -t tmpfs tmpfs $etc && { cp -r /etc/. $etc 2>/dev/null || :; } && "
        "mount --bind $etc /etc && umount $etc && rmdir $etc");
  }
  // A link would lead to a file that others use.
  output_of("rm -f /etc/" + name);
  std::ofstream(("/etc/" + name).c_str()) << text;
}

}  // namespace culvert::test
