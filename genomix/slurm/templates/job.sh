#!/bin/bash
{% for line in directives %}
#SBATCH {{ line }}
{% endfor %}
#
# {{ title }}
# Stopped ahead of its limit, or to make room for others, it is queued again and goes on where it was.
{% if collect %}
# Submit it by: bash THIS_SCRIPT submit
# That queues {{ count }} tasks, and behind them task 0, which {{ purpose }}.
{% else %}
# Submit it by: sbatch THIS_SCRIPT
{% endif %}

{% if collect %}
if [ "${1:-}" = submit ]; then
    tasks=$(sbatch --parsable "$0") || exit
    echo "tasks: job ${tasks%%;*}"
    sbatch --array=0 --dependency="afterok:${tasks%%;*}" --kill-on-invalid-dep=yes{{ collect_options }} "$0"
    exit
fi
task=${SLURM_ARRAY_TASK_ID:?submit this script by: bash THIS_SCRIPT submit}
job=${SLURM_ARRAY_JOB_ID}_$task # the last task has the number of the array, which would stand for all of them

{% endif %}
{% for line in setup %}
{{ line }}
{% endfor %}
set -u # only from here on: modules and environments are set up by scripts that may not bear it
ranks=${SLURM_NTASKS:-{{ ranks }}}
{% if collect %}
if [ "$task" -eq 0 ]; then
    ranks=1
    work=({{ collect }})
else
    {% if directory %}
    mkdir -p {{ directory }}
    {% endif %}
    work=({{ work }})
fi
{% else %}
job=$SLURM_JOB_ID
work=({{ work }})
{% endif %}

# The signal ahead of the limit comes to this shell, which passes it on to srun, and srun to every task. So does USR1
# for TERM, at which srun itself would kill the tasks. A task that ends must not kill the others, which are saving.
step=
came_term=no
trap 'was_signalled=yes; kill -s USR1 "$step" 2>/dev/null' USR1
trap 'was_signalled=yes; came_term=yes; kill -s USR1 "$step" 2>/dev/null' TERM
srun --ntasks="$ranks" --kill-on-bad-exit=0 --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" "${work[@]}" &
step=$!
was_signalled=yes
while [ "$was_signalled" = yes ]; do # a signal ends the wait, not the step
    was_signalled=no
    wait "$step"
    code=$?
done

# TERM ends a job that was cancelled, or that SLURM queues again by itself; neither is running any more. A job that
# still is has been given time to make room, and would not be queued again when it ends ahead of that time.
goes_on=yes
if [ "$came_term" = yes ] && [ "$(squeue --noheader --jobs="$job" --format=%T)" != RUNNING ]; then
    goes_on=no
fi
if [ "$code" -eq {{ again }} ] && [ "$goes_on" = yes ]; then
    if [ "${SLURM_RESTART_COUNT:-0}" -ge {{ max_restarts }} ]; then
        echo "stopped for the last time: queued again {{ max_restarts }} times already (--max-restarts)" >&2
    else
        scontrol requeue "$job" || echo "cannot be queued again; submit this script once more" >&2
    fi
fi
exit "$code"
