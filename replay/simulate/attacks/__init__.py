"""The attacks, one file a family; ``registry`` lists them."""
