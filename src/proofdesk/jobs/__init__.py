"""The door of the workers: what each job does, and the process that carries jobs out."""
