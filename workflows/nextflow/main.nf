// Folds are dealt, trained apart, pooled and measured; then new records are predicted in shards, which are merged.
//
//     nextflow run workflows/nextflow/main.nf --model paramixer --options '--budget 1h'
//
// What is not said is as in nextflow.config beside this file. Runs and shards are written to params.out, not to a folder of a
// task, so that a command that was stopped (exit code 75) goes on where it was when it is run again.
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
    val results
    val fold

    output:
    val fold

    script:
    """
    genomix train ${data} ${labels} --splits ${folds} --folds ${params.folds} --model ${params.model} ${params.options} \\
        --resume '${results}/run' --threads ${task.cpus} --only ${fold}
    """
}

process POOL {
    cpus params.threads

    input:
    path data
    path labels
    path folds
    val results
    val trained

    output:
    val "${results}/run"

    script:
    """
    genomix train ${data} ${labels} --splits ${folds} --folds ${params.folds} --model ${params.model} ${params.options} \\
        --resume '${results}/run' --threads ${task.cpus}
    """
}

process EVALUATE {
    publishDir params.out, mode: 'copy'

    input:
    val run
    path folds

    output:
    path 'metrics.json'

    script: // records of a test split are in no fold, and were predicted by none
    """
    awk -F '\\t' 'length(\$NF)' ${folds} > held_out.tsv
    genomix evaluate --predictions '${run}/predictions.tsv' held_out.tsv --json > metrics.json
    """
}

process PREDICT {
    cpus params.threads

    input:
    val run
    path records
    val results
    val shard

    output:
    val shard

    script:
    """
    mkdir -p '${results}/shards'
    genomix predict '${run}' ${records} --shard ${shard}/${params.shards} --resume --threads ${task.cpus} \\
        --output '${results}/shards/part-${shard}.tsv'
    """
}

process MERGE {
    publishDir params.out, mode: 'copy'

    input:
    val results
    val predicted

    output:
    path 'predictions.tsv'

    script:
    """
    genomix merge '${results}'/shards/part-{1..${params.shards}}.tsv --output predictions.tsv
    """
}

workflow {
    data = file(params.data, checkIfExists: true)
    labels = file(params.labels, checkIfExists: true)
    results = file(params.out).toAbsolutePath().toString() // params.out may be relative, and a task has a folder of its own
    folds = SPLIT(data, labels).first()
    trained = TRAIN_FOLD(data, labels, folds, results, Channel.of(1..params.folds)).collect()
    run = POOL(data, labels, folds, results, trained).first()
    EVALUATE(run, folds)
    predicted = PREDICT(run, file(params.new, checkIfExists: true), results, Channel.of(1..params.shards))
    MERGE(results, predicted.collect())
}
