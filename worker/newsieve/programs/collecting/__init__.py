"""`newsieve serve`, its lower half: records of all topics into the store of pages."""
