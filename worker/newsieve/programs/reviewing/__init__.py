"""Reviews by people: samples drawn from the store, reviews put into it, and what they say."""
