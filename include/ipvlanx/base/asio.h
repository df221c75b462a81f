// SPDX-License-Identifier: Apache-2.0
// The one place that includes Boost.Asio and Beast. A file that includes it takes
// a quarter of a minute to compile, so the daemon and the client keep to one or two.
#pragma once

// Boost 1.74 uses std::exchange in its coroutines without including <utility>.
#include <coroutine>
#include <utility>

// Boost 1.74 looks for clang's coroutines where they were before C++20.
#ifdef __clang__
#define BOOST_ASIO_HAS_CO_AWAIT 1
#define BOOST_ASIO_HAS_STD_COROUTINE 1
#endif

// g++ 12, optimising, sees a socket's move constructor read what it only swaps.
#pragma GCC diagnostic push
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#pragma GCC diagnostic pop
