"""DNA in: records, labels, the store of encoded bases, windows, splits and batches."""
