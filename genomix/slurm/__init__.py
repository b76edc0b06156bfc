"""Scripts for the SLURM batch system: jobs that stop ahead of their limit, are queued again and go on."""

from genomix.slurm.commands import Work, plan_work
from genomix.slurm.script import Job, write_script

__all__ = ["Job", "Work", "plan_work", "write_script"]
