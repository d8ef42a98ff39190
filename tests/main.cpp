// Entry point of the one test program; every tests/<folder>/test_*.cpp registers its cases with doctest.
// May depend on doctest only.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
