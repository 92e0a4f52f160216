"""The models that newsieve can ask for labels, behind one contract, `base`; `registry` finds them."""
