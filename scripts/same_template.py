"""Compares a template in JSON with the same template in YAML, read as CloudFormation reads it: as YAML 1.1.

Usage: same_template.py JSON YAML

Exit codes: 0 they hold the same; 1 they do not; 2 bad usage.
"""

import json
import sys

import yaml


def main(paths):
    if len(paths) != 2:
        print("usage: same_template.py JSON YAML", file=sys.stderr)
        return 2
    with open(paths[0], encoding="utf-8") as file:
        expected = json.load(file)
    with open(paths[1], encoding="utf-8") as file:
        found = yaml.safe_load(file)
    if found != expected:
        print(f"{paths[1]} does not hold what {paths[0]} holds")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
