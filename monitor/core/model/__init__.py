"""The records that cross the boundaries between the parts, by subject."""
