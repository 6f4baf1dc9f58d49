"""From calls to the nouns, and from what they return to answers: one module per noun."""
