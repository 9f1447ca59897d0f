#!/bin/bash
# An executor of Spark on Kubernetes: the driver says in the environment what it is to be. Does what
# Spark's own image does (resource-managers/kubernetes/docker), without writing outside of /tmp.
set -euo pipefail

SPARK_HOME=${SPARK_HOME:-$(python -c 'import pathlib, pyspark; print(pathlib.Path(pyspark.__file__).parent)')}
export SPARK_HOME

# SPARK_JAVA_OPT_0, SPARK_JAVA_OPT_1, ... in the order of their numbers.
mapfile -t options < <(env | grep '^SPARK_JAVA_OPT_' | sort -t_ -k4 -n | sed 's/[^=]*=//')

# What the driver's spark.executor.extraClassPath says comes first, as in Spark's own image.
class_path="${SPARK_CLASSPATH:+$SPARK_CLASSPATH:}$SPARK_HOME/jars/*"
if [ -n "${SPARK_EXTRA_CLASSPATH:-}" ]; then
    class_path="$class_path:$SPARK_EXTRA_CLASSPATH"
fi
if [ -n "${SPARK_CONF_DIR:-}" ]; then
    class_path="$SPARK_CONF_DIR:$class_path"
fi

exec "${JAVA_HOME:+$JAVA_HOME/bin/}java" \
    "${options[@]}" \
    "-Xms$SPARK_EXECUTOR_MEMORY" "-Xmx$SPARK_EXECUTOR_MEMORY" \
    -cp "$class_path" \
    org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend \
    --driver-url "$SPARK_DRIVER_URL" \
    --executor-id "$SPARK_EXECUTOR_ID" \
    --cores "$SPARK_EXECUTOR_CORES" \
    --app-id "$SPARK_APPLICATION_ID" \
    --hostname "$SPARK_EXECUTOR_POD_IP" \
    --resourceProfileId "$SPARK_RESOURCE_PROFILE_ID" \
    --podName "$SPARK_EXECUTOR_POD_NAME"
