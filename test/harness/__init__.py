# SPDX-License-Identifier: GPL-2.0
"""What the tests share: kernels that are altered or counted, guests, and verdicts on them. It
finds the modules of scripts/, which know the series and the kernel that it is for."""
import os
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'scripts'))
