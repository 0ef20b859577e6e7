"""The scaler: tells KEDA how many replicas of each part the routers' callers want."""
