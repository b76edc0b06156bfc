// Folds are dealt, trained apart, pooled and measured; then new records are predicted in shards, which are merged.
//
//     nextflow run workflows/nextflow/main.nf --model paramixer --options '--budget 1h'
//
// What is not said is as in nextflow.config beside this file. Runs are written to params.out, not to a folder of a task, so
// that a command that was stopped (exit code 75) goes on where it was when it is run again.
nextflow.enable.dsl = 2

process SPLIT {
    input:
    path data
    path labels

    output:
    path 'folds.tsv'

    script:
    """
    genomix split ${data} ${labels} --folds ${params.folds} ${params.split_options} -o folds.tsv
    """
}

process TRAIN_FOLD {
    cpus params.threads

    input:
    path data
    path labels
    path folds
    val fold

    output:
    val fold

    script:
    """
    genomix train ${data} ${labels} --splits ${folds} --folds ${params.folds} --model ${params.model} ${params.options} \\
        --resume '${params.out}/run' --threads ${task.cpus} --only ${fold}
    """
}

process POOL {
    cpus params.threads

    input:
    path data
    path labels
    path folds
    val trained

    output:
    val "${params.out}/run"

    script:
    """
    genomix train ${data} ${labels} --splits ${folds} --folds ${params.folds} --model ${params.model} ${params.options} \\
        --resume '${params.out}/run' --threads ${task.cpus}
    """
}

process EVALUATE {
    publishDir params.out, mode: 'copy'

    input:
    val run
    path labels

    output:
    path 'metrics.json'

    script:
    """
    genomix evaluate --predictions '${run}/predictions.tsv' ${labels} --json > metrics.json
    """
}

process PREDICT {
    cpus params.threads

    input:
    val run
    path records
    val shard

    output:
    tuple path("part-${shard}.tsv"), path("part-${shard}.tsv.shard.json")

    script:
    """
    genomix predict '${run}' ${records} --shard ${shard}/${params.shards} --resume --threads ${task.cpus} \\
        --output part-${shard}.tsv
    """
}

process MERGE {
    publishDir params.out, mode: 'copy'

    input:
    path parts

    output:
    path 'predictions.tsv'

    script:
    """
    genomix merge part-*.tsv --output predictions.tsv
    """
}

workflow {
    data = file(params.data, checkIfExists: true)
    labels = file(params.labels, checkIfExists: true)
    folds = SPLIT(data, labels).first()
    trained = TRAIN_FOLD(data, labels, folds, Channel.of(1..params.folds)).collect()
    run = POOL(data, labels, folds, trained).first()
    EVALUATE(run, labels)
    parts = PREDICT(run, file(params.new, checkIfExists: true), Channel.of(1..params.shards))
    MERGE(parts.collect())
}
