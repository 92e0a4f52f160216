"""The worker: raw articles in, scored and tiered records out. Start reading at `loop`."""
