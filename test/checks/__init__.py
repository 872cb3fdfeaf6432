# SPDX-License-Identifier: GPL-2.0
"""The checks of "make check", by what they look at."""
