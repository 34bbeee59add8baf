"""Finds, adapts, ranks and measures TVM schedules for the kernels of an ONNX model."""
