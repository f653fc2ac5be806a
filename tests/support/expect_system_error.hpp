// Expectation on what a call throws.
#pragma once

#include <gmock/gmock.h>

#include <functional>
#include <string>
#include <system_error>

namespace culvert::test {

/// Expects `call` to throw std::system_error with `code` (std::errc or std::error_code) and a what() that matches.
template <class Code>
void expect_system_error(const std::function<void()>& call, Code code,
                         const ::testing::Matcher<const std::string&>& text) {
  try {
    call();
    ADD_FAILURE() << "nothing was thrown";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_THAT(std::string(error.what()), text);
  }
}

}  // namespace culvert::test
