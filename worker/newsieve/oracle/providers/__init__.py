"""The models that can be asked for labels, behind one contract, `base`; `registry` finds them."""
