#!/usr/bin/env bash
# A key of a Hydra configuration cannot be set on the command line if the config folder has a folder of its name.
#
# A configuration without any defaults list has the plain key `scale: 1`. Beside it, for other configurations of the same
# program, lies a group: the folder `scale/`. One would expect `scale=3` to set the key, because this configuration has
# no such group. Hydra decides by the folder alone: whatever names a group that can be found is a choice of that group,
# and is then refused, as the defaults list has none. No spelling of the override reaches the key, neither `scale=3`,
# which ends in an exception of Python's, nor `++scale=3`, nor quotes. Other keys of the same file work as usual, and the
# key works once the folder is gone.
#
# So programs with several primary configurations over one config folder, such as train.yaml and restore.yaml, share
# one space of names for groups and keys.
#
# Seen with hydra-core 1.3.8 (hydra/_internal/defaults_list.py, where overrides are told apart by `group_exists`). Fails
# if the key can be set.
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
python3 -m venv env
env/bin/pip install -q "hydra-core==1.3.8"
mkdir -p conf/scale
echo "name: small" > conf/scale/small.yaml
printf 'scale: 1\nsize: 2\n' > conf/app.yaml
cat > app.py <<'PY'
import hydra


@hydra.main(config_path="conf", config_name="app", version_base=None)
def main(config):
    print(f"scale {config.scale}, size {config.size}")


main()
PY
run() { env/bin/python app.py hydra.run.dir=. hydra.output_subdir=null hydra/job_logging=none hydra/hydra_logging=none "$@" 2>&1; }
run size=5 | grep -q "scale 1, size 5"
for given in scale=3 scale=3.5 "scale='3'" ++scale=3; do
    if said=$(run "$given"); then
        echo "$given sets the key now: $said"
        exit 1
    fi
    echo "$given is refused: $(tail -1 <<< "$said")"
done
rm -r conf/scale
run scale=3 | grep -q "scale 3, size 2"
echo "without the folder scale/, scale=3 sets the key"
