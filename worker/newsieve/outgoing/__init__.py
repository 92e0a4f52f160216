"""Requests to the outside by HTTP: limited in time, told without secrets, for whoever sends any."""
