// Boost.JSON, compiled here once instead of linked: Debian splits it from the headers.
#include <boost/json/src.hpp>
