"""The W&B workspace of a project, as code: ``python -m gan_lab.dashboard project=gan_lab``."""

from gan_lab.cli.app import plain_entry


@plain_entry("", project=None, entity=None, name="gan_lab", output=None)
def main(rest: list[str], project: str | None, entity: str | None, name: str, output: str | None) -> None:
    from gan_lab.common.errors import UserError
    from gan_lab.training.loggers.wandb_workspace import save, write

    if rest or not project:
        wrong = f"gan_lab.dashboard does not know {rest[0]}" if rest else "Of which project is not said"
        raise UserError(f"{wrong}: give project=… as in logger.wandb.project.")
    if output:
        print(f"Wrote {write(project, entity, name, output)}")
    else:
        print(f"The workspace {name}: {save(project, entity, name)}")


if __name__ == "__main__":
    main()
