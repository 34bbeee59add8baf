"""Pure encoders: (workload, schedule, donor pair, hardware) to a matrix of named float32 features."""

from recommender.features.encoder import FEATURE_NAMES, FEATURES_HASH, encode, feature_groups

__all__ = ["FEATURES_HASH", "FEATURE_NAMES", "encode", "feature_groups"]
