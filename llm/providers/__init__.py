"""The models behind `ChatModel`. Imported only by what chooses them: the runtime, the lab, services."""
