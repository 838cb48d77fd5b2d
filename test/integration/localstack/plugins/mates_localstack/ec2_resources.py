"""Types of AWS::EC2 that LocalStack's CloudFormation lacks and others refer to; its EC2 API has them."""

from localstack.services.cloudformation.resource_provider import OperationStatus, ProgressEvent, ResourceProvider


class ElasticIpProvider(ResourceProvider):
    TYPE = "AWS::EC2::EIP"
    SCHEMA = {
        "typeName": TYPE,
        "properties": {"PublicIp": {"type": "string"}, "AllocationId": {"type": "string"}},
        # The whole identifier is address|allocation; Ref gives the address, which is how the service documents it.
        "primaryIdentifier": ["/properties/PublicIp"],
        "readOnlyProperties": ["/properties/PublicIp", "/properties/AllocationId"],
    }

    def create(self, request):
        model = request.desired_state
        address = request.aws_client_factory.ec2.allocate_address(Domain=model.get("Domain", "vpc"))
        model |= {"PublicIp": address["PublicIp"], "AllocationId": address["AllocationId"]}
        return done(model)

    def update(self, request):
        return done({**request.previous_state, **request.desired_state})

    def delete(self, request):
        allocation = request.desired_state["AllocationId"]
        request.aws_client_factory.ec2.release_address(AllocationId=allocation)
        return done(request.desired_state)


class LaunchTemplateProvider(ResourceProvider):
    TYPE = "AWS::EC2::LaunchTemplate"
    VERSIONS = ("LatestVersionNumber", "DefaultVersionNumber")
    SCHEMA = {
        "typeName": TYPE,
        "properties": {name: {"type": "string"} for name in ("LaunchTemplateId", *VERSIONS)},
        "primaryIdentifier": ["/properties/LaunchTemplateId"],
        "readOnlyProperties": [f"/properties/{name}" for name in ("LaunchTemplateId", *VERSIONS)],
    }

    def create(self, request):
        model = request.desired_state
        model.setdefault("LaunchTemplateName", f"{request.stack_name}-{request.logical_resource_id}")
        created = request.aws_client_factory.ec2.create_launch_template(
            LaunchTemplateName=model["LaunchTemplateName"], LaunchTemplateData=model["LaunchTemplateData"]
        )["LaunchTemplate"]
        model["LaunchTemplateId"] = created["LaunchTemplateId"]
        model |= {name: str(created[name]) for name in self.VERSIONS}
        return done(model)

    def update(self, request):
        model = {**request.previous_state, **request.desired_state}
        version = request.aws_client_factory.ec2.create_launch_template_version(
            LaunchTemplateId=model["LaunchTemplateId"], LaunchTemplateData=model["LaunchTemplateData"]
        )["LaunchTemplateVersion"]
        model["LatestVersionNumber"] = str(version["VersionNumber"])
        return done(model)

    def delete(self, request):
        template = request.desired_state["LaunchTemplateId"]
        request.aws_client_factory.ec2.delete_launch_template(LaunchTemplateId=template)
        return done(request.desired_state)


def done(model):
    return ProgressEvent(OperationStatus.SUCCESS, resource_model=model)
