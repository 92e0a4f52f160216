venv:
	true
