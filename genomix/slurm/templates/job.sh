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
set -u

{% if collect %}
if [ "${1:-}" = submit ]; then
    tasks=$(sbatch --parsable "$0") || exit
    echo "tasks: job ${tasks%%;*}"
    sbatch --array=0 --dependency="afterok:${tasks%%;*}" --kill-on-invalid-dep=yes "$0"
    exit
fi
task=${SLURM_ARRAY_TASK_ID:?submit this script by: bash THIS_SCRIPT submit}

{% endif %}
{% for line in setup %}
{{ line }}
{% endfor %}
{% if collect %}
ranks=$SLURM_NTASKS
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
ranks=$SLURM_NTASKS
work=({{ work }})
{% endif %}

# The signal ahead of the limit comes to this shell, which passes it on to srun, and srun to every task.
trap 'was_signalled=yes; kill -s USR1 "$step" 2>/dev/null' USR1
trap 'was_signalled=yes; kill -s TERM "$step" 2>/dev/null' TERM
srun --ntasks="$ranks" --kill-on-bad-exit=1 --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" "${work[@]}" &
step=$!
was_signalled=yes
while [ "$was_signalled" = yes ]; do # a signal ends the wait, not the step
    was_signalled=no
    wait "$step"
    code=$?
done

if [ "$code" -eq {{ again }} ]; then
    if [ "${SLURM_RESTART_COUNT:-0}" -ge {{ max_restarts }} ]; then
        echo "stopped for the last time: queued again {{ max_restarts }} times already (--max-restarts)" >&2
    else
        scontrol requeue "$SLURM_JOB_ID" || echo "cannot be queued again; submit this script once more" >&2
    fi
fi
exit "$code"
