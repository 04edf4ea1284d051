"""The `multiboard` command."""

from __future__ import annotations

from multiboard.errors import MissingFrameworkError

try:
    import click

    from multiboard.cli_compare import compare
    from multiboard.cli_convert import convert
    from multiboard.cli_demo import demo
    from multiboard.cli_doctor import doctor
    from multiboard.cli_export import export
    from multiboard.cli_files import repair
    from multiboard.cli_graph import graph
    from multiboard.cli_inspect import inspect
    from multiboard.cli_profile import profile
    from multiboard.cli_report import report
    from multiboard.cli_retention import compact, prune
    from multiboard.cli_serve import serve
    from multiboard.cli_upload import upload
except ImportError as error:
    raise SystemExit(str(MissingFrameworkError("the multiboard command", "click and rich", "cli"))) from error


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="multiboard")
def main() -> None:
    """Log and compare training runs of PyTorch, JAX/Flax and Keras in TensorBoard."""


main.add_command(demo)
main.add_command(doctor)
main.add_command(compact)
main.add_command(prune)
main.add_command(repair)
main.add_command(inspect)
main.add_command(convert)
main.add_command(export)
main.add_command(graph)
main.add_command(compare)
main.add_command(profile)
main.add_command(report)
main.add_command(serve)
main.add_command(upload)


if __name__ == "__main__":
    main()
