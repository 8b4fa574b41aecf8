"""What SQL can't say: reading the manifest, running dbt, fitting, publishing."""

import os

# The fits' matrices are small: several BLAS threads only wait for each other (three times the CPU), and what they add
# up differs from run to run.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
