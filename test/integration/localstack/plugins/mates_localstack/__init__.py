"""What LocalStack's host mode lacks and this project's stacks use: a Lambda runtime, AWS Batch, SageMaker training.

LocalStack finds the parts by the entry points in `mates_localstack-1.0.dist-info`. Its modules are imported inside
functions: what an entry point imports at the top is loaded for every start of LocalStack, used or not.
"""
