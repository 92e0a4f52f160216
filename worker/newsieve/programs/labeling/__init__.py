"""The oracle program: requests for labels in, exactly one OracleScore each out."""
