#!/bin/sh
# Tells an instance's jobs that EC2 is about to take the instance away, some two minutes before it does. The ECS agent does
# not: draining an instance ends tasks of services, and Batch's jobs are none. A job saves what it has and ends with exit
# code 75, and Batch starts it again; of one that does not, Batch sees its host end, and starts that again too.
metadata=http://169.254.169.254/latest
while sleep "${POLL_SECONDS:-5}"; do
  token=$(curl -sf -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' "$metadata/api/token") || continue
  # There is no such document until the notice.
  curl -sf -o /dev/null -H "X-aws-ec2-metadata-token: $token" "$metadata/meta-data/spot/instance-action" || continue
  docker ps -q --filter label=com.amazonaws.ecs.task-arn | xargs -r docker kill --signal TERM
  exit
done
