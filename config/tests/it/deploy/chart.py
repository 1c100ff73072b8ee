"""Renders a chart with Helm's own library, and validates what Kubernetes itself defines.

    chart.py lint CHART            prints what `helm lint` finds, as JSON
    chart.py render CHART          reads a list of values, and prints a list as JSON: the objects of each, or its error
"""

import json
import sys
from pathlib import Path

import helm_python as helm
import kubernetes_validate
import yaml

# The oldest version that the chart permits, and the newest that is known.
VERSIONS = ("1.28", kubernetes_validate.latest_version())


def render(chart, values):
    try:
        chart.validate_schema(chart.merge_values(values))
        templates = chart.render(values, name="shop", namespace="prod")
    except helm.HelmError as error:
        return {"error": str(error)}
    objects, problems = [], []
    for name, text in templates.items():
        if name.endswith("NOTES.txt"):
            continue
        for item in filter(None, yaml.safe_load_all(text)):
            objects.append(item)
            if "monitoring.coreos.com" in item["apiVersion"]:
                continue
            for version in VERSIONS:
                try:
                    kubernetes_validate.validate(item, version, strict=True)
                except Exception as error:
                    problems.append(f"{name}: {version}: {error}")
    notes = [text for name, text in templates.items() if name.endswith("NOTES.txt")]
    return {"objects": objects, "problems": problems, "notes": "".join(notes)}


def main():
    command, path = sys.argv[1], Path(sys.argv[2])
    if command == "lint":
        print(json.dumps(helm.lint(path, values=json.load(sys.stdin)), default=str))
        return
    with helm.Chart.load(path) as chart:
        print(json.dumps([render(chart, values) for values in json.load(sys.stdin)]))


main()
