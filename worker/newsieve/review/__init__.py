"""People's own scores of articles: who is given which, and how far people, oracle and student
agree."""
