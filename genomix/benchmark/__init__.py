"""How long a training step and a prediction take and what memory they need, by model and length of the records.

Every figure comes from a process of its own (`worker`), which `sweep` starts one after another.
"""
