"""The one seam to TVM: front end, lowering, workloads, sketches, replay, search and build.

Nothing outside this package and `recommender.harness` imports tvm.
"""
