"""Training of the anomaly heatmap decoder: features once, then many short steps."""
