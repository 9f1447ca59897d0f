#!/bin/sh
# What a container of either image does, by its first argument. Runs as any user of group 0, with a
# root that cannot be written and /tmp that can.
set -eu

usage() {
    cat >&2 <<'END'
usage: one of
  ingest | predictor | frontend    a service (image web)
  prepare                          topics and schema, safe to repeat
  load                             a data set into the log (RECOMMENDER_DATASET, else MovieLens)
  smoke OPTIONS                    the smoke test
  stream | COMMAND OPTIONS         the modeler (image modeler)
  executor                         an executor, started by Spark (image modeler)
END
    exit 64
}

# A user id that a cluster assigns has no line in /etc/passwd, and Hadoop's login fails without a
# name. The wrapper library answers in the place of the file, which cannot be written.
name_this_user() {
    if ! getent passwd "$(id -u)" >/dev/null; then
        # What this user may not read does not matter.
        wrapper=$(find /usr/lib -name libnss_wrapper.so -print -quit 2>/dev/null || true)
        if [ -n "$wrapper" ]; then
            passwd=/tmp/passwd.$$
            echo "recommender:x:$(id -u):$(id -g):recommender:/tmp:/sbin/nologin" >"$passwd"
            export LD_PRELOAD="$wrapper" NSS_WRAPPER_PASSWD="$passwd" NSS_WRAPPER_GROUP=/etc/group
        fi
    fi
}

# The health check asks the service that runs here.
note_service() {
    echo "$1" >"${TMPDIR:-/tmp}/service"
}

case "${1:-}" in
ingest | predictor | frontend)
    note_service "$1"
    exec python -m "$1"
    ;;
prepare)
    exec python -m storage prepare
    ;;
load)
    exec python -m local.load
    ;;
smoke)
    shift
    exec python "${RECOMMENDER_PROGRAMS:-/opt/recommender}/smoke.py" "$@"
    ;;
executor)
    name_this_user
    exec bash "${RECOMMENDER_PROGRAMS:-/opt/recommender}/executor.sh"
    ;;
"" | help | --help | -h)
    usage
    ;;
*)
    name_this_user
    if [ "$1" = stream ]; then
        note_service modeler
        # What an earlier driver has left behind; a container that is started again in its pod
        # keeps the pod, and so its executors.
        if [ -n "${EXECUTOR_SELECTOR:-}" ]; then
            python "${RECOMMENDER_PROGRAMS:-/opt/recommender}/remove_executors.py"
        fi
    fi
    exec python -m modeler "$@"
    ;;
esac
