"""What SQL can't say: reading the manifest, running dbt, fitting, publishing."""
