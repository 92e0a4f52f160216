"""What tests share: tiny students, a broker, worker processes, an independent reader."""
