"""Many validations, spread over cores or machines by Dask."""
