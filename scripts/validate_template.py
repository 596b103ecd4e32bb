"""Validates CloudFormation templates with cloudformation-validate, which is a library without a command.

Usage: validate_template.py TEMPLATE...

Exit codes: 0 nothing at or above a warning; 1 findings, or a template it could not analyse in full;
2 no template given, or a file that cannot be read.
"""

import sys

from cloudformation_validate import CompositeEngine, ReportStatus, Severity, ValidateConfig

# Notes below a warning are left out: they ask for tags on every resource and announce which properties
# replace a resource, on every template. cfn-lint's notes, which are useful, are part of the same step.
CONFIG = ValidateConfig(severity_level=Severity.WARN)


def describe(path, finding):
    """One line a person can act on: where, how bad, which rule, which resource and property, what."""
    place = f"{path}:{finding.start_line or 1}"
    subject = [finding.entity.logical_id] if finding.entity else []
    if finding.property_path:
        subject.append(finding.property_path)
    return f"{place}: {finding.severity.name} {finding.rule_id} {' '.join(subject)}: {finding.message}"


def main(paths):
    if not paths:
        print("usage: validate_template.py TEMPLATE...", file=sys.stderr)
        return 2
    engine = CompositeEngine()
    failed = False
    for path in paths:
        try:
            report = engine.validate_template(path, CONFIG)
        except OSError as error:
            print(f"cannot read {path}: {error.strerror}", file=sys.stderr)
            return 2
        for finding in report.diagnostics:
            print(describe(path, finding))
        # An incomplete analysis may have missed something, so it does not count as clean.
        if report.status is not ReportStatus.OK:
            print(f"{path}: analysis ended as {report.status.name}")
        failed = failed or bool(report.diagnostics) or report.status is not ReportStatus.OK
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
